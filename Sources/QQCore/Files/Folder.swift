import Glibc

/// A system call about a file that failed, and the path that it failed for.
public struct FileError: Error, Sendable, Hashable {
    public var path: String
    public var cause: SystemCallError

    public init(path: String, cause: SystemCallError) {
        self.path = path
        self.cause = cause
    }

    /// The system's text, such as "Permission denied".
    public var reason: String { cause.reason }
}

/// Creating and listing folders.
public enum Folder {
    /// Creates a folder unless something with its name exists. The umask applies to both modes.
    ///
    /// - Parameters:
    ///   - path: an absolute path.
    ///   - mode: permissions of the folder itself.
    ///   - parentMode: permissions of the missing folders above it; nil if they must exist.
    /// - Throws: `FileError` with the path of the folder that cannot be created.
    public static func make(_ path: String, mode: mode_t = 0o700, parentMode: mode_t? = 0o700) throws(FileError) {
        func make(_ folder: String, _ mode: mode_t) throws(FileError) {
            guard mkdir(folder, mode) != 0, errno != EEXIST else { return }
            throw FileError(path: folder, cause: SystemCallError("mkdir"))
        }
        guard let parentMode else { return try make(path, mode) }
        let parts = path.split(separator: "/")
        var made = ""
        for (index, part) in parts.enumerated() {
            made += "/" + part
            try make(made, index == parts.count - 1 ? mode : parentMode)
        }
    }

    /// The folder that a file is in: everything before the last slash of its path.
    public static func containing(_ path: String) -> String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

    /// The names in a folder, in no order, without `.` and `..`.
    /// - Throws: `SystemCallError` of opendir(3).
    public static func names(in folder: String) throws(SystemCallError) -> [String] {
        guard let directory = opendir(folder) else { throw SystemCallError("opendir") }
        return Self.names(in: directory)
    }

    /// The names in an open folder, which is closed after that.
    public static func names(in directory: OpaquePointer) -> [String] {
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
