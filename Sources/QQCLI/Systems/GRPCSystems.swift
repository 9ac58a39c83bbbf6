import QQCore
import QQGRPC
import QQNetwork

// Flags and settings that the systems reached over gRPC share.
extension Flags {
    static let maxMessage = Flag<Int>(
        "max-message", value: "MIB", kind: .count, group: .access,
        help: "gRPC: largest message, in MiB",
        more: "Quorum Quest and RaftLock: the largest message that is sent or accepted, in MiB.",
        defaultText: "\(Defaults.maximumMessage)", parse: Values.number(1...256))
}

extension GRPCSettings {
    /// Settings from the flags and the URL.
    init(_ invocation: Invocation, _ url: ServerURL) {
        self.init(tls: url.tls || TLSOptions.isAsked(invocation) ? TLSOptions(invocation) : nil)
        maximumMessage = (invocation[Flags.maxMessage] ?? Defaults.maximumMessage) * 1024 * 1024
    }
}
