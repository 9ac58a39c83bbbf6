import Glibc

/// A function to be fed any bytes. It returns, or ends the process if something is wrong; its caller keeps the bytes.
public struct FuzzTarget: Sendable {
    /// The target's name; its seeds are in `Seeds/NAME`.
    public let name: String
    /// Parts of the target's input, which a mutation can insert.
    public let words: [String]
    public let run: @Sendable ([UInt8]) -> Void

    public static let all: [FuzzTarget] = [
        FuzzTarget(name: "command-lines", words: ["--\n", "-", "--ttl", "=", "acquire\n", "15s"], run: fuzzCommandLine),
        FuzzTarget(
            name: "consul-answers",
            words: json + [
                "\n---\n", "200 7\n", "404 7\n", "409\n", "500\n", ".slot-1-of-2", "\"Holders\":", "\"Session\":",
                "\"Flags\":3304740253564472344", "\"LockIndex\":", "%0",
                "%1",
            ],
            run: fuzzConsulAnswer),
        FuzzTarget(
            name: "etcd-answers",
            words: message + [
                "\n---\nr", "\n---\nt", "\n---\nkTTL: 15", "kvs { key: \"qq/web/%0\" lease: %1 }", "create_revision: ", "mod_revision: ",
                "succeeded: true", "TTL: ",
                "responses { response_range { ", "watch_id: ", "canceled: true", "!1",
            ],
            run: fuzzEtcdAnswer),
        FuzzTarget(
            name: "kubeconfigs",
            words: json + times + ["\n- ", "\n  ", ": ", "&a ", "*a", "'", "token: ", "exec: ", "server: ", "\"status\":"],
            run: fuzzKubeconfig),
        FuzzTarget(
            name: "kubernetes-leases",
            words: json + times + [
                "\"spec\":", "\"metadata\":", "\"qq/term\":", " attended ", "\"renewTime\":", "\"holderIdentity\":\"\"",
            ],
            run: fuzzKubernetesLease),
        FuzzTarget(name: "lease-files", words: lease + json, run: fuzzLeaseFile),
        FuzzTarget(
            name: "nats-streams", words: ["\r\n", "PING\r\n", "MSG a 1 3\r\n", "HMSG", "INFO {}\r\n", "NATS/1.0", " "], run: fuzzNATSStream),
        FuzzTarget(
            name: "nats-answers", words: json + ["\0", "NATS/1.0 ", "Nats-Sequence: ", "Nats-Msg-Id: qq:"] + times, run: fuzzNATSAnswer),
        FuzzTarget(name: "raftlock-answers", words: message + ["expires_at", "version: ", "owner_id: "], run: fuzzRaftLockAnswer),
        FuzzTarget(name: "quorum-quest-answers", words: message + ["lease_length", "is_leader: "], run: fuzzQuorumQuestAnswer),
        FuzzTarget(name: "recordings", words: json + times + ["\"expires_in\":", "\"ttl\":", "\"event\":", "elected"], run: fuzzRecording),
        FuzzTarget(name: "session-lines", words: ["'", "\"", "\\", "$", "~", " ", "--color=", "$(x)", "&"], run: fuzzSessionLine),
        FuzzTarget(name: "texts", words: json + times + ["1h30m", "file:///", "nats://", "%41", "[::1]", "-slot-1-of-2"], run: fuzzText),
    ]

    private static let json = [
        "{", "}", "[", "]", ",", ":", "\"", "null", "true", "-1", "1e300", "1e-300", "18446744073709551615", "\\u0000",
    ]
    private static let times = ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z"]
    private static let lease = [
        "\"holder\":\"x\"", "\"ttlSeconds\":", "\"leaseDuration\":", "\"bootDeadline\":", "\"bootId\":\"this\"", "\"token\":",
    ]
    private static let message = [
        " { ", " } ", "seconds: ", "nanos: ", "9223372036854775807", "-9223372036854775808", "2147483647", "inf", "nan",
    ]
}

/// Ends the process, as a trap does, with what is wrong with an input.
func fail(_ message: String, _ bytes: [UInt8]) -> Never { fail(message, of: String(decoding: bytes, as: UTF8.self)) }

func fail(_ message: String, of input: some CustomDebugStringConvertible) -> Never {
    print("fuzz: \(message)\nof: \(input.debugDescription)")
    fflush(nil)
    abort()
}
