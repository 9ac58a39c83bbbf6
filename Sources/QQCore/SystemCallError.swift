import Glibc

/// A system call that failed: which, and errno.
public struct SystemCallError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The call's name, as in its manual page.
    public var call: String
    /// errno.
    public var code: CInt

    public init(_ call: String, code: CInt = errno) {
        self.call = call
        self.code = code
    }

    /// The system's text for the code, such as "Permission denied".
    public var reason: String { String(cString: strerror(code)) }

    public var description: String { "\(call): \(reason)" }

    /// The result of a call that answers -1 on failure.
    public static func check(_ call: String, _ result: CInt) throws(SystemCallError) -> CInt {
        guard result >= 0 else { throw SystemCallError(call) }
        return result
    }
}
