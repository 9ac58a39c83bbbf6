/// The exit codes that scripts rely on. Codes from 64 on are those of sysexits.h where it has one.
public enum ExitCode {
    /// Yes: acquired, released, led.
    public static let yes: Int32 = 0
    /// No: held by another, not held, no leader.
    public static let no: Int32 = 1
    public static let usage: Int32 = 64
    public static let brokenData: Int32 = 65
    public static let unavailable: Int32 = 69
    public static let timedOut: Int32 = 75
    public static let denied: Int32 = 77
    public static let configuration: Int32 = 78
    public static let lost: Int32 = 79
    public static let unsupported: Int32 = 80
    /// The command ran longer than `--max-run`; as of timeout(1).
    public static let ranTooLong: Int32 = 124
    public static let commandNotRunnable: Int32 = 126
    public static let commandNotFound: Int32 = 127

    /// A command that died of a signal.
    public static func signal(_ number: Int32) -> Int32 { 128 + number }
}

extension CoordinationError {
    /// The one place that maps failures to exit codes.
    public var exitCode: Int32 {
        switch kind {
        case .usage: ExitCode.usage
        case .brokenData: ExitCode.brokenData
        case .unavailable: ExitCode.unavailable
        case .timedOut: ExitCode.timedOut
        case .denied: ExitCode.denied
        case .configuration: ExitCode.configuration
        case .lost: ExitCode.lost
        case .unsupported: ExitCode.unsupported
        }
    }
}
