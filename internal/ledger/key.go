package ledger

// MaxKeyRate bounds the rate of an API key, in requests a second.
const MaxKeyRate = 100_000
