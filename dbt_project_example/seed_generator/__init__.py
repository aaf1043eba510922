"""The invented company Quillmere and its customers, as a pure function of the day."""
