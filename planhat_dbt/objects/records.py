"""The record objects about who and what: companies, people and what belongs to them (planhat-api §4, §9).

Doubts are settled by planhat-api §13, as in `revenue` and `engagement`: bulk keys of company, campaign, churn
and conversation (#10), what a licence (#34) and a ticket (#35) need. Enumerations are closed only where the
notes say "enum"; fields that are called plain text there take any text.
"""

from __future__ import annotations

from planhat_dbt.objects.notation import fields, frozen
from planhat_dbt.objects.types import ObjectType, Scope

ALL_KEYS = ("_id", "sourceId", "externalId")
EXTID = frozen(externalId="extid-")
BOTH = frozen(externalId="extid-", sourceId="srcid-")

CUSTOM_FIELD = ObjectType(
    name="custom_field",
    plural="custom_fields",
    path="/customfields",
    rank=-1,  # a definition must exist before values are sent under its name
    bulk=False,
    bulk_keys=("_id",),  # no bulk call at all: the key of its single calls
    key_scope=Scope.TENANT,
    custom=False,
    aliases=("customfield", "customfields"),
    fields=fields(
        text="name! parent! type! formula numberFormat",
        boolean="isHidden isFeatured isShared isLocked isMandatory isFormula treatUndefinedAsZero",
        texts="listValues",
        any="filter- formulaRefs-",
        values={
            "type": "number, text, rich text, checkbox, day, date, list, multipicklist, team member, "
            "team members, rating, phone, email, enduser, endusers, url"
        },
    ),
)

COMPANY = ObjectType(
    name="company",
    plural="companies",
    path="/companies",
    rank=0,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    key_scope=Scope.TENANT,
    page_size=5000,
    lean_list=True,
    fields=fields(
        text="name! externalId sourceId slug- phase~ status~ description address country city zip "
        "phonePrimary web lastTouchType-",
        integer="h~ csmScore renewalDaysFromNow-",
        number="mrr- arr- renewalMrr- renewalArr- orgMrr- orgArr- orgMrrTotal- orgArrTotal- "
        "mr~ nrr30~ mrrTotal~ nrrTotal~ mrTotal~",
        boolean="autoRenews-",
        datetime="phaseSince- customerFrom- customerTo- lastRenewal- renewalDate- lastActive- lastTouch- "
        "nextTouch- createDate- lastUpdated- updatedAt-",
        id="owner coOwner hProfile-",
        ids="followers collaborators",
        texts="domains~ tags products-",
        objects="licenses- sales- alerts- lastActivities- csmScoreLog- documents- links- features-",
        object="usage- sunits- shareable- lastTouchByType-",
        any="orgRootId- orgPath- orgLevel- orgUnits- orgHealthTotal- headId- nps- __v-",
        values={"status": "prospect, coming, customer, canceled, lost"},
    ),
)

USER = ObjectType(
    name="user",
    plural="users",
    path="/users",
    rank=1,
    bulk_keys=("_id", "externalId", "email"),
    path_keys=EXTID,
    key_scope=Scope.TENANT,
    page_size=10000,
    aliases=("team_member", "team_members"),
    fields=fields(
        text="email! nickName! firstName! lastName! externalId image-",
        ids="roles managers teams",
        boolean="inactive isHidden notificationsEnabled isExposedAsSenderOption compressedView- "
        "radarOneLine-",
        number="tzOffset",
        datetime="createDate- createdAt- updatedAt-",
        any="permissions- taskFilter- companyFilter-",
    ),
)

ENDUSER = ObjectType(
    name="enduser",
    plural="endusers",
    path="/endusers",
    rank=2,
    bulk_keys=("_id", "sourceId", "externalId", "email"),
    path_keys=BOTH,
    company_field="companyId",
    one_of=(("email", "externalId", "sourceId"),),
    hidden_flag="archived",
    aliases=("end_user", "end_users"),
    fields=fields(
        company="companyId",
        text="email externalId sourceId firstName lastName name~ position phone companyName- "
        "lastTouchType- npsComment- emailMd5-",
        texts="tags otherEmails",
        boolean="featured primary archived npsUnsubscribed npsSent-",
        datetime="lastActive~ createDate~ lastTouch- npsDate- updatedAt-",
        number="beats- beatsTotal- beatTrend- convs14- convsTotal- experience- nps-",
        object="sharedNotificationsPrefs- lastTouchByType-",
        objects="personas- relatedEndusers- lastActivities-",
        any="__v-",
    ),
)

WORKSPACE = ObjectType(
    name="workspace",
    plural="workspaces",
    path="/workspaces",
    rank=10,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    company_field="companyId",
    fields=fields(text="name! externalId sourceId companyName-", company="companyId!", id="ownerId"),
)

PROJECT = ObjectType(
    name="project",
    plural="projects",
    path="/projects",
    rank=11,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    company_field="companyId",
    fields=fields(
        text="name! externalId sourceId currency companyName-",
        company="companyId!",
        datetime="startDate endDate",
        number="mrr arr nrr",
    ),
)

ASSET = ObjectType(
    name="asset",
    plural="assets",
    path="/assets",
    rank=12,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    company_field="companyId",
    fields=fields(
        text="name! externalId sourceId serialNumber status _currency companyName- ownerName-",
        company="companyId!",
        number="value",
        datetime="installDate",
        id="ownerId",
        object="usage-",
    ),
)

CAMPAIGN = ObjectType(
    name="campaign",
    plural="campaigns",
    path="/campaigns",
    rank=13,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    company_field="companyId",
    fields=fields(
        text="name! externalId sourceId campaignPurpose companyName-",
        company="companyId!",
    ),
)

OBJECTIVE = ObjectType(
    name="objective",
    plural="objectives",
    path="/objectives",
    rank=14,
    bulk_keys=ALL_KEYS,
    path_keys=BOTH,
    company_field="companyId",
    fields=fields(
        text="name! externalId sourceId companyName-",
        company="companyId!",
        number="health",
    ),
)
