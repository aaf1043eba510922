"""The vocabulary of the invented data: names, places, titles, texts."""

from __future__ import annotations

import re
import unicodedata

COMPANY_FIRST = (
    "Åkerlund", "Aldermoor", "Birkfelt", "Bluestone", "Calloway", "Cinder", "Dovetail", "Drumlin", "Eastgate",
    "Élan", "Fairweather", "Fjordvik", "Gavotte", "Größwald", "Hazelbrook", "Höglund", "Ironbark",
    "Jørgensund", "Kestrel", "Kōyō", "Lakshore", "Łęgowo", "Marlowe", "Mühlbach", "Northmere", "Oakhurst",
    "Orléane", "Pão Dourado", "Pinewick", "Quayside", "Redfern", "São Brás", "Silverlea", "Tannenhof",
    "Thornbury", "Umbra", "Valmont", "Wexcombe", "Yarrow", "Zeelandia", "Öresund",
)  # fmt: skip
COMPANY_SECOND = (
    "Analytics", "Bank", "Biotech", "Builders", "Clinics", "Energy", "Foods", "Freight", "Health", "Hotels",
    "Insurance", "Labs", "Logistics", "Media", "Mobility", "Retail", "Robotics", "Textiles", "Works",
)  # fmt: skip
PLACES = (  # country, city, currency, UTC offset of its CRM users
    ("Sweden", "Göteborg", "SEK", "+02:00"),
    ("Germany", "München", "EUR", "+02:00"),
    ("France", "Orléans", "EUR", "+02:00"),
    ("Poland", "Gdańsk", "EUR", "+02:00"),
    ("United Kingdom", "Leeds", "GBP", "+01:00"),
    ("United States", "Austin", "USD", "-05:00"),
    ("United States", "Portland", "USD", "-07:00"),
    ("Brazil", "São Paulo", "USD", "-03:00"),
    ("Japan", "大阪", "USD", "+09:00"),
)
INDUSTRIES = ("Finance", "Health care", "Manufacturing", "Public sector", "Retail", "Software", "Transport")
TIERS = ("Starter", "Team", "Business", "Enterprise")
PHASES = ("Onboarding", "Adoption", "Expansion", "Renewal", "At Risk")
ACCOUNT_TAGS = ("strategic", "reference", "partner-led", "regulated", "multi-region", "migrated")
FIRST_NAMES = (
    "Ada", "Åsa", "Bruno", "Carmen", "Chloé", "Dmitri", "Elif", "Femi", "Grace", "Günther", "Hana", "Ines",
    "Jonas", "Kaito", "Leïla", "Łukasz", "Maya", "Nils", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tomás",
    "Uma", "Viktor", "Wen", "Ximena", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Bergström", "Castillo", "Dąbrowska", "Eriksen", "Fischer", "García", "Hughes", "Ibrahim",
    "Jansen", "Kowalski", "Lindqvist", "Müller", "Nakamura", "O'Neill", "Petit", "Quint", "Rossi", "Sørensen",
    "Tanaka", "Ueda", "Varga", "Walsh", "Xu", "Yilmaz", "Zając", "d'Arcy",
)  # fmt: skip
JOB_TITLES = (
    "Accountant", "Buyer", "CFO", "Compliance Officer", "Controller", "COO", "Data Steward",
    "Head of Finance", "Head of Legal", "IT Administrator", "Legal Counsel", "Office Manager", "Project Lead",
    "Purchasing Manager",
)  # fmt: skip
TICKET_SUBJECTS = (
    "Approval e-mail not received", "Cannot add signer", "Export is missing rows", "Invoice address is wrong",
    "Login loop after password change", "PDF preview stays blank", "Question about seats", "Slow search",
    "SSO certificate expires soon", "Webhook delivered twice", "Wrong time zone in audit log",
)  # fmt: skip
ISSUE_TITLES = (
    "Audit log shows server time", "Bulk export stops at 10,000 rows", "Signer list loses order",
    "Preview fails for scanned PDFs", "Reminder e-mails are sent twice", "Search ignores diacritics",
    "SSO: session ends too early", "Webhook retries without backoff",
)  # fmt: skip
NOTE_SUBJECTS = (
    "Check-in call", "Executive review", "Onboarding kick-off", "Renewal talk", "Training session",
    "Usage review",
)  # fmt: skip
NOTE_BODIES = (
    "Happy with approvals; wants templates next.", "New sponsor in finance, intro planned.",
    "Asked for SSO; sent the guide.", "Adoption low in legal team, training booked.",
    "Will add seats after budget round.", "No open points.",
)  # fmt: skip
FEATURES = ("approval", "audit log", "bulk export", "e-signature", "search", "template", "webhook")

_NOT_DECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "ß": "ss", "æ": "ae"})


def slug(text: str) -> str:
    """Lower-case ASCII of a name, for domains and e-mail addresses."""
    folded = unicodedata.normalize("NFKD", text.lower().translate(_NOT_DECOMPOSED))
    return re.sub(r"[^a-z0-9]+", "", folded.encode("ascii", "ignore").decode())
