import CGuardian
import Glibc

/// The words with which a guardian becomes another `qq`, which gives the lease up if this process is killed. Deputy.c describes how.
public struct Deputy: Sendable {
    /// The variable in which the deputy finds the end of the lease: nanoseconds on CLOCK_BOOTTIME.
    public static let end = QQ_DEPUTY_END

    private let arguments: [[CChar]]
    private let environment: [[CChar]]

    /// - Parameters:
    ///   - arguments: C strings, the program's own name first.
    ///   - environment: `NAME=VALUE`, as C strings.
    public init(arguments: [[CChar]], environment: [[CChar]]) {
        self.arguments = arguments
        self.environment = environment
    }

    /// Names this process, a deputy, after the program.
    public static func takeName() { qq_deputy_name() }

    /// A descriptor of the words, for the guardian; nil if there is no memory for them.
    func words() -> CInt? {
        let bytes = Array((arguments + environment).joined())
        let file = qq_deputy_words(bytes, bytes.count, UInt32(arguments.count))
        return file < 0 ? nil : file
    }
}
