package conformance_test

var innerKills = killers{}
