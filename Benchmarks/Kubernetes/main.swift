import Glibc

// Usage: harness-kubernetes QQ LEASE-API STAMP TOOLS [ROUNDS [SECONDS]]
// Starts API servers of the tests, and measures qq on them: a cold read compared with kubectl and curl, hand-over, failover, and many leases held by
// one process.

let words = CommandLine.arguments
guard words.count >= 5 else { stop("run me with make bench-kubernetes") }
let (qq, leaseAPI, stamp, tools) = (words[1], words[2], words[3], words[4])
let rounds = words.count > 5 ? Int(words[5]) ?? 200 : 200
let seconds = words.count > 6 ? Int(words[6]) ?? 60 : 60

let folder = workFolder()
atexit { Child(["/bin/rm", "-rf", folder]).wait() }
// kubectl keeps a cache there; nothing of the user's takes part.
for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] { setenv(name, folder, 1) }

compareReading()
measureHandover()
measureFailover()
measureMany()

func serve() -> Server { Server(leaseAPI, in: folder) }
