import QQCore
import QQGRPC
import QQNetwork

// What the systems that are reached over gRPC share.
extension Flags {
    static let maxMessage = Flag<Int>(
        "max-message", value: "MIB", kind: .count, group: .access,
        help: "gRPC: largest message, in MiB",
        more: "Quorum Quest and RaftLock: the largest message that is sent or taken, in MiB.",
        defaultText: "\(Defaults.maximumMessage)", parse: Values.number(1...256))

    static let metricsFile = Flag<String>(
        "metrics-file", value: "FILE", kind: .file, group: .output,
        help: "gRPC: count calls in FILE",
        more: """
            Quorum Quest and RaftLock: write counts of the calls made, by operation, to this file in the text format of Prometheus: every \
            \(DurationText.format(Defaults.metricsEvery)) and at the end, each time as a whole. The names are in qq-raftlock(7). That it cannot be written is \
            reported and changes nothing.
            """,
        parse: Values.text)
}

extension GRPCSettings {
    /// What the flags and the URL say together.
    init(_ invocation: Invocation, _ url: ServerURL) {
        self.init(tls: url.tls || TLSOptions.isAsked(invocation) ? TLSOptions(invocation) : nil)
        maximumMessage = (invocation[Flags.maxMessage] ?? Defaults.maximumMessage) * 1024 * 1024
    }
}
