package conformance

var quietCases = []Case{}
