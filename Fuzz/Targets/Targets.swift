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
        FuzzTarget(name: "lease-files", words: lease + json, run: fuzzLeaseFile),
        FuzzTarget(
            name: "nats-streams", words: ["\r\n", "PING\r\n", "MSG a 1 3\r\n", "HMSG", "INFO {}\r\n", "NATS/1.0", " "], run: fuzzNATSStream),
        FuzzTarget(
            name: "nats-answers", words: json + ["\0", "NATS/1.0 ", "Nats-Sequence: ", "Nats-Msg-Id: qq:"] + times, run: fuzzNATSAnswer),
        FuzzTarget(name: "raftlock-answers", words: message + ["expires_at", "version: ", "owner_id: "], run: fuzzRaftLockAnswer),
        FuzzTarget(name: "quorum-quest-answers", words: message + ["lease_length", "is_leader: "], run: fuzzQuorumQuestAnswer),
        FuzzTarget(name: "recordings", words: json + times + ["\"expires_in\":", "\"ttl\":", "\"event\":", "elected"], run: fuzzRecording),
        FuzzTarget(name: "session-lines", words: ["'", "\"", "\\", "$", "~", " ", "--color=", "$(x)", "&"], run: fuzzSessionLine),
        FuzzTarget(name: "texts", words: json + times + ["1h30m", "file:///", "nats://", "%41", "[::1]"], run: fuzzText),
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
