package conformance_test

var quietKills = killers{}
