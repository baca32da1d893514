package conformance_test

var queueKills = killers{}
