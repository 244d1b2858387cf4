// Package service wires the two services and the topic they meet at: which parts
// they are made of, in which order those start and in which they stop. The
// commands and the demo run the same functions.
package service
