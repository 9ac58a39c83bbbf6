import CSupport
import Glibc

/// A kernel lease on a file (fcntl(2), F_SETLEASE). A process that opens the file waits until the lease is released.
public final class FileLease: Sendable {
    private let descriptor: CInt

    /// - Returns: nil if the file system has no leases, or if the file is open somewhere.
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
