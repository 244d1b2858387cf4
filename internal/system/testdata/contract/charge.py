"""Charges a wallet with the client that openapi-python-client makes of the document,
waits for the outcome and prints it."""

import json
import os

from monedero import AuthenticatedClient
from monedero.api.operations import get_operation
from monedero.api.wallets import charge
from monedero.models import Charge, ChargeCurrency, Operation, Problem, ProblemCode

wallet = os.environ["WALLET"]
client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_KEY"], timeout=60)

charged = charge.sync(
    wallet,
    client=client,
    body=Charge(amount=125, currency=ChargeCurrency.EUR, invoice="INV-PYTHON"),
    idempotency_key="made by openapi-python-client",
)
assert isinstance(charged, Operation), charged
read = get_operation.sync(charged.id, client=client, prefer="wait=30")
assert isinstance(read, Operation) and read.done, read

# What is refused is of a type of its own.
refused = charge.sync(wallet, client=client, body=Charge(amount=125, currency=ChargeCurrency.EUR))
assert isinstance(refused, Problem) and refused.code == ProblemCode.INVALID_REQUEST, refused

print(json.dumps(read.to_dict()))
