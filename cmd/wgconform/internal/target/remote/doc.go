// Package remote makes a device that is reachable over UDP a subject of the conformance suite: the target
// remote:FILE.yaml of wgconform. The file says where the device is, which peers it knows, by what its inner side shows
// itself, and how it is reset; a person configures the device once, by the configuration that comes with the file.
//
//	this host                                            the device
//	  one UDP socket for each address of the suite ═════ its UDP socket
//	                                                       ║ inside: an echo
//
// The tester is an ordinary host: it needs no rights, and its sockets stamp what comes with the kernel's time. A
// stamp is of this host: what the way to the device takes is measured at the start and granted to it.
package remote
