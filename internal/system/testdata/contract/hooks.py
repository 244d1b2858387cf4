"""What the OpenAPI document cannot say, one line each: everything else that
schemathesis finds is a failure."""

import schemathesis

# Requests that the document allows and the API refuses: by the problem's code, and
# where there are faults by all of them.
CODES = {
    "idempotency_key_reused",  # the key says something else already
    "filter_required",  # a role needs a filter that another does not
}
FAULTS = {
    ("header.Idempotency-Key", "is required where there is no invoice"),
    ("body.client_id", "is no client"),
    ("body.merchant_id", "is no merchant"),
    ("body.expires_at", "must lie in the future"),
    ("query.cursor", "is not a cursor of this list: it goes with the filters of the page that it came with"),
    # What an operation is called by has a sum in it.
    ("body.charge", "is not an operation ID"),
    ("body.hold", "is not an operation ID"),
    ("body.charge", "is not of this wallet"),
    ("body.hold", "is not of this wallet"),
    # Fields that go together, and times in their order.
    ("body.amount", "is required beside a currency"),
    ("body.currency", "is required beside an amount"),
    ("query.to", "must not lie before from"),
    ("query.reason", "goes with status=failed: what is accepted has none"),
    # JSON Schema takes 1.0 for an integer; amounts are written without a fraction.
    ("body.amount", "must be an integer, without fraction and exponent"),
    ("body.expires_in", "must be an integer, without fraction and exponent"),
    ("body.rate", "must be an integer, without fraction and exponent"),
    ("body.overlap_seconds", "must be an integer, without fraction and exponent"),
    ("body.max_amount", "must be an integer, without fraction and exponent"),
    ("body.per_day", "must be an integer, without fraction and exponent"),
    ("body.per_month", "must be an integer, without fraction and exponent"),
    ("body.total", "must be an integer, without fraction and exponent"),
    # Only some roles may say it.
    ("body.note", "is for operators"),
}


def beyond_the_document(response):
    if response.headers.get("content-type") != ["application/problem+json"]:
        return False
    problem = response.json()
    if problem["code"] in CODES:
        return True
    faults = {(f["location"], f["message"]) for f in problem.get("errors", [])}
    return problem["code"] == "invalid_request" and faults != set() and faults <= FAULTS


@schemathesis.hook
def filter_failure(context, failure, case, response):
    return type(failure).__name__ != "RejectedPositiveData" or not beyond_the_document(response)
