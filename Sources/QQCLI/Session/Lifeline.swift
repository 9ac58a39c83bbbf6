import CKernel
import Glibc
import QQCore

/// The lifeline pipe between a session and the guarded commands that it started: its end of file shows them that the session has ended, for whatever
/// reason.
enum Lifeline {
    private static let variable = "QQ_LIFELINE"

    /// Creates the pipe. A session keeps the writing end open for its whole life.
    /// - Throws: `SystemCallError` of pipe(2).
    static func make() throws(SystemCallError) -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        _ = try SystemCallError.check("pipe", pipe(&ends))
        for end in ends { _ = qq_set_cloexec(end, 1) }
        return (ends[0], ends[1])
    }

    /// The environment entry that names the descriptor to a child process.
    static func entry(_ descriptor: CInt) -> String { "\(variable)=\(descriptor)" }

    /// Whether a session started this process. Only before `take`.
    static var isGiven: Bool { getenv(variable) != nil }

    /// The reading end that this process inherited; nil if no session started this process. Its own child processes do not inherit the end.
    static func take() -> CInt? {
        guard let text = getenv(variable).map({ String(cString: $0) }) else { return nil }
        unsetenv(variable)
        var information = stat()
        guard let descriptor = CInt(text), descriptor > 2, fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFIFO,
            qq_set_cloexec(descriptor, 1) == 0
        else { return nil }
        return descriptor
    }
}
