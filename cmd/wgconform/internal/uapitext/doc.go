// Package uapitext writes and reads the text of the userspace configuration protocol (rules UAPI) in the suite's terms:
// for subjects that are configured by it and have no other way.
package uapitext
