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

    static let metricsFile = Flag<String>(
        "metrics-file", value: "FILE", kind: .file, group: .output,
        help: "gRPC: count calls in FILE",
        more: """
            Quorum Quest, RaftLock and etcd: write counts of the calls, by operation, to this file in the text format of Prometheus, every \
            \(DurationText.format(Defaults.metricsEvery)) and at the end. Each time the file is replaced as a whole. The names of the metrics are in \
            qq-raftlock(7). A failure to write the file is reported and has no other effect.
            """,
        parse: Values.text)
}

extension GRPCSettings {
    /// Settings from the flags and the URL.
    init(_ invocation: Invocation, _ url: ServerURL) {
        self.init(tls: url.tls || TLSOptions.isAsked(invocation) ? TLSOptions(invocation) : nil)
        maximumMessage = (invocation[Flags.maxMessage] ?? Defaults.maximumMessage) * 1024 * 1024
    }
}
