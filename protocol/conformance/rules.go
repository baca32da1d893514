package conformance

import _ "embed" // the list of rules

// UAPIRules are the rules of the configuration protocol, one line for each: ID, tab, level, tab, what it asks; lines
// with # are comments. Those of the protocol itself are in docs/rules.txt.
//
//go:embed rules_uapi.txt
var UAPIRules string
