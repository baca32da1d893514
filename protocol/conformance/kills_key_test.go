package conformance_test

var keyKills = killers{}
