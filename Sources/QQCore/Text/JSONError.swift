/// The reason why a document is not JSON, and the location.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason, for users: "expected a value, found '}'".
    public let reason: String
    /// Offset of the error, in bytes from the start of the document. At the end of an unfinished document this is its size.
    public let offset: Int
    /// The line of `offset`, from 1; lines end with LF.
    public let line: Int
    /// The column of `offset` in its line, from 1, in Unicode scalars.
    public let column: Int

    public init(reason: String, offset: Int, line: Int, column: Int) {
        self.reason = reason
        self.offset = offset
        self.line = line
        self.column = column
    }

    /// An error at `offset` of `document`. Computes line and column.
    init(reason: String, offset: Int, in document: [UInt8]) {
        let before = document.prefix(offset)
        let lastLine = before.lastIndex(of: UInt8(ascii: "\n")).map { before[($0 + 1)...] } ?? before
        self.init(
            reason: reason,
            offset: offset,
            line: 1 + before.count { $0 == UInt8(ascii: "\n") },
            column: 1 + lastLine.count { $0 & 0xC0 != 0x80 }
        )
    }

    /// "line 3, column 7: expected a value, found '}'".
    public var description: String { "line \(line), column \(column): \(reason)" }
}
