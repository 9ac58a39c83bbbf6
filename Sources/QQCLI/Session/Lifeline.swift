import CKernel
import Glibc
import QQCore

/// A pipe between a session and the guarded commands that it started: its end tells them that the session is gone, however it went.
enum Lifeline {
    private static let variable = "QQ_LIFELINE"

    /// The two ends; a session keeps the second one open for as long as it lives.
    static func make() throws(SystemCallError) -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        _ = try SystemCallError.check("pipe", pipe(&ends))
        for end in ends { _ = qq_set_cloexec(end, 1) }
        return (ends[0], ends[1])
    }

    /// How a process that is started learns of its end.
    static func entry(_ descriptor: CInt) -> String { "\(variable)=\(descriptor)" }

    /// The end that we were started with; nil where no session started us. What we start does not get it.
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
