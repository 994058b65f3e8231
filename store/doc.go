// Package store is the journal: what was asked of which terminal, what became
// of it, and which events still have to be told to whom.
package store
