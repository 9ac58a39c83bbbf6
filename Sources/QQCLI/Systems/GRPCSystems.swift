import QQCore

import struct LeaderElection.ServerAccess

// Flags and settings that the systems reached over gRPC share.
extension Flags {
    static let maxMessage = Flag<Int>(
        "max-message", value: "MIB", kind: .count, group: .access,
        help: "gRPC: largest message, in MiB",
        more: "Quorum Quest and RaftLock: the largest message that is sent or accepted, in MiB.",
        defaultText: "\(Defaults.maximumMessage)", parse: Values.number(1...256))
}

extension ServerAccess {
    /// How servers of Quorum Quest and RaftLock are reached.
    static func grpc(_ invocation: Invocation, _ choice: ServerChoice) -> ServerAccess {
        var access = ServerAccess(invocation, choice)
        if let mebibytes = invocation[Flags.maxMessage] { access.maximumMessage = mebibytes << 20 }
        return access
    }
}
