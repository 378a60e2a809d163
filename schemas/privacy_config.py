"""What is done about each kind of personal data in published text."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ctllm.schemas.config import Config, bare_off

PersonalData = Literal[
    "secret", "id_card", "bank_card", "mobile", "landline", "email", "qq", "wechat", "passport", "plate", "ip"
]
PrivacyAction = Annotated[Literal["redact", "tag", "off"], BeforeValidator(bare_off)]


class PrivacyConfig(Config):
    """Personal data in published text: replaced by a placeholder, only recorded in `edits`, or not looked for."""

    secret: PrivacyAction = Field("redact", description="keys and tokens: vendors' forms, random values of such names")
    id_card: PrivacyAction = Field("redact", description="resident identity numbers: date and check digit")
    bank_card: PrivacyAction = Field("redact", description="known ranges and check digit; not part of longer numbers")
    mobile: PrivacyAction = Field("redact", description="Chinese mobile numbers of segments in use")
    landline: PrivacyAction = Field("redact", description="Chinese landline numbers with area code")
    email: PrivacyAction = Field("redact", description="e-mail addresses, also beside Han characters")
    qq: PrivacyAction = Field("redact", description="QQ numbers after the word")
    wechat: PrivacyAction = Field("redact", description="WeChat ids after the word")
    passport: PrivacyAction = Field("redact", description="passport and travel permit numbers after the word")
    plate: PrivacyAction = Field("redact", description="licence plates of mainland China, new-energy ones too")
    ip: PrivacyAction = Field("redact", description="public IPv4 and IPv6 addresses; never versions or private ranges")
