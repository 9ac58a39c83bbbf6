import NIOCore

/// Bytes that come in pieces, and leave as lines. Pure.
struct LineBuffer {
    private var bytes = ByteBuffer()
    /// Index of the first line feed, if one has been found.
    private var end: Int?
    /// Index from which none has been looked for.
    private var searched = 0

    /// Number of bytes that are kept.
    var count: Int { bytes.readableBytes }
    /// Whether a complete line is there.
    var hasLine: Bool { end != nil }

    mutating func append(_ more: ByteBuffer) {
        var more = more
        if bytes.readableBytes == 0 {
            bytes = more
            searched = bytes.readerIndex
        } else {
            bytes.writeBuffer(&more)
        }
        search()
    }

    private mutating func search() {
        guard end == nil else { return }
        let rest = bytes.viewBytes(at: searched, length: bytes.writerIndex - searched)
        end = rest?.firstIndex(of: UInt8(ascii: "\n"))
        searched = end ?? bytes.writerIndex
    }

    /// Removes and returns the next complete line, without its line feed; nil if there is none.
    mutating func next() -> [UInt8]? {
        guard let end, let line = bytes.readBytes(length: end - bytes.readerIndex) else { return nil }
        bytes.moveReaderIndex(forwardBy: 1)
        if bytes.readerIndex > 64 * 1024 { bytes.discardReadBytes() }
        self.end = nil
        searched = bytes.readerIndex
        search()
        return line
    }

    /// Removes and returns all bytes.
    mutating func rest() -> [UInt8] {
        defer { self = LineBuffer() }
        return bytes.readBytes(length: bytes.readableBytes) ?? []
    }
}
