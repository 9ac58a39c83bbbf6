import CSupport
import Glibc

/// A lease on a file (fcntl(2), F_SETLEASE): whoever opens the file waits until it is given up.
public final class FileLease: Sendable {
    private let descriptor: CInt

    /// - Returns: nil where the file system has none, or the file is open somewhere.
    public init?(_ path: String) {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0, support_lease(descriptor, 1) == 0 else {
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        self.descriptor = descriptor
    }

    public func release() { _ = support_lease(descriptor, 0) }

    deinit { close(descriptor) }
}
