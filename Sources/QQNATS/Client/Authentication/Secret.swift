import Glibc

/// Erases secret bytes from memory.
enum Secret {
    /// Overwrites `bytes`, provided that no other array shares them, and empties the array.
    static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { explicit_bzero(start, buffer.count) }
        }
        bytes = []
    }
}
