package conformance

var queueCases = []Case{}
