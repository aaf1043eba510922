"""The record objects of working with people: conversations, issues, tasks, tickets (planhat-api §4, §9)."""

from __future__ import annotations

from planhat_dbt.objects.notation import fields, frozen
from planhat_dbt.objects.types import ObjectType, Scope

CONVERSATION = ObjectType(
    name="conversation",
    plural="conversations",
    path="/conversations",
    rank=20,
    bulk_keys=("_id", "externalId"),
    path_keys=frozen(externalId="extid-"),
    company_field="companyId",
    fields=fields(
        company="companyId!",
        text="type subject description externalId sourceId companyName- snippet- timeBucket- sender- "
        "assigneeName-",
        datetime="date outDate createDate-",
        objects="users endusers~ history-",
        id="ownerId",
        texts="activityTags tags-",
        boolean="useSubject starred pinned archived isOpen- waitsToBeFiltered- hasAttachments- hasMore- "
        "isCustomType-",
        integer="numberOfParts- numberOfRelevantParts-",
        ids="emailTemplateIds- userIds-",
    ),
)

NOTE = ObjectType(
    name="note",
    plural="notes",
    path="/conversations",
    rank=21,
    bulk_keys=("_id",),
    company_field="companyId",
    key_scope=Scope.TENANT,
    constants=frozen(type="note"),
    custom_owner="conversation",
    fields=fields(
        company="companyId!",
        text="type! subject description companyExternalId companyName- companySourceId- snippet- note- "
        "nickName- timeBucket- sender-",
        datetime="date createDate-",
        texts="activityTags",
        objects="users endusers history-",
        id="userId-",
        ids="followers-",
        any="owner-",
        values={"type": "note"},
    ),
)

ISSUE = ObjectType(
    name="issue",
    plural="issues",
    path="/issues",
    rank=22,
    bulk_keys=("_id", "sourceId"),
    path_keys=frozen(sourceId="srcid-"),
    company_field="companyIds",
    key_scope=Scope.TENANT,
    fields=fields(
        text="title! sourceId description status priority source sourceUrl",
        companies="companyIds",
        ids="enduserIds conversationIds followers",
        objects="companies- endusers-",
        boolean="archived",
        integer="mrrCombined- arrCombined-",
        datetime="createdAt- updatedAt-",
    ),
)

TASK = ObjectType(
    name="task",
    plural="tasks",
    path="/tasks",
    rank=23,
    bulk_keys=("_id", "sourceId"),
    path_keys=frozen(sourceId="srcid-"),
    company_field="companyId",
    key_scope=Scope.TENANT,
    page_size=10000,
    hidden_flag="isArchived",
    fields=fields(
        company="companyId!",
        text="mainType! sourceId action description type status repeat ownerName~ companyName- snippet-",
        datetime="startTime endTime dateDone createdAt- updatedAt-",
        boolean="noSpecificTime isArchived shared- overdueNotified-",
        integer="repeatDays",
        id="ownerId",
        objects="checklist endusers users",
        texts="activityTags",
        values={"repeat": "daily, weekly, monthly, quarterly, yearly, custom"},
    ),
)

TICKET = ObjectType(
    name="ticket",
    plural="tickets",
    path="/tickets",
    rank=24,
    bulk_keys=("_id", "sourceId"),
    company_field="companyId",
    key_scope=Scope.TENANT,
    one_of=(("companyExternalId", "domains", "companyId"),),
    single_calls=False,
    page_size=10000,
    fields=fields(
        text="sourceId! email! companyExternalId source title description url type severity product status "
        "name agentEmail",
        id="companyId",  # a bare `_id`: tickets are not among the objects that take prefixes (§3.3)
        texts="domains tags",
        integer="timeSpent",
        objects="history",
        datetime="createdAt updatedAt",
    ),
)

NPS = ObjectType(
    name="nps",
    plural="nps",
    path="/nps",
    rank=25,
    bulk_keys=("_id", "sourceId"),
    path_keys=frozen(sourceId="srcid-"),
    company_field="companyId",
    key_scope=Scope.TENANT,
    page_size=10000,
    list_filters=frozen(npsExpiryDay="36500"),  # the default hides answers older than 360 days (§7)
    fields=fields(
        text="email! sourceId comment source",
        integer="score!",
        id="companyId campaignId euId-",  # `cId` takes a bare `_id`; it is found through the enduser anyway
        datetime="dateSent dateAnswered",
        wire={"companyId": "cId"},
    ),
)
