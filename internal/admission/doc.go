// Package admission says whom there is room for: it gives out connections, seats, places to wait
// and rates, of each no more than a replica can carry, and to each owner its fair share. It grants
// or refuses; what to answer is for others to say.
package admission
