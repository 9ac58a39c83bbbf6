import Glibc
import QQCore

/// Small files of the user: kubeconfigs and tokens.
enum SmallFile {
    /// Why a file cannot be read, as the end of a sentence.
    struct Problem: Error, Equatable {
        var reason: String
        /// Whether there is no file at the path.
        var isMissing = false
    }

    /// The contents of the regular file at `path`. Anything else, such as a FIFO, is refused without waiting for it; `/dev/null` is an empty file.
    static func read(_ path: String, upTo limit: Int) throws(Problem) -> [UInt8] {
        do throws(SystemCallError) {
            let file = try ReadableFile(path)
            let status = try file.status()
            switch status.st_mode & S_IFMT {
            case S_IFREG: break
            case S_IFDIR: throw SystemCallError("read", code: EISDIR)
            case S_IFCHR where status.st_rdev == nullDevice: return []
            default: throw SystemCallError("read", code: ESPIPE)
            }
            let bytes = try file.read(upTo: limit + 1)
            guard bytes.count <= limit else { throw SystemCallError("read", code: EFBIG) }
            return bytes
        } catch {
            switch error.code {
            case ESPIPE: throw Problem(reason: "it is not a regular file")
            case EFBIG: throw Problem(reason: "it is larger than \(limit >> 10) KiB")
            default: throw Problem(reason: error.reason, isMissing: error.code == ENOENT)
            }
        }
    }

    /// makedev(3) of major 1, minor 3 (Documentation/admin-guide/devices.txt of the kernel).
    private static let nullDevice: dev_t = 1 << 8 | 3
}
