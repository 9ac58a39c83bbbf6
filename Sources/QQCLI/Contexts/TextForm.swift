import QQCore

/// The parts of a text file that editors on other systems add, and that a change of its lines keeps: a byte order mark, and lines that end with CR LF. Pure.
struct TextForm: Sendable, Equatable {
    enum Mixed: Error { case lineEnds }

    private static let mark = "\u{feff}"

    private let hasMark: Bool
    private let hasReturns: Bool

    /// - Parameter text: the whole file; without these parts on return.
    /// - Throws: `Mixed` if the ends of lines differ, so that they cannot be restored.
    init(takenFrom text: inout String) throws(Mixed) {
        hasMark = text.unicodeScalars.first == "\u{feff}"
        if hasMark { text.unicodeScalars.removeFirst() }
        let bytes = Array(text.utf8)
        var returns = 0
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\r") {
            guard index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "\n") else { throw .lineEnds }
            returns += 1
        }
        hasReturns = returns > 0
        guard hasReturns else { return }
        guard returns == bytes.count(where: { $0 == UInt8(ascii: "\n") }) else { throw .lineEnds }
        text = String(decoding: bytes.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }

    /// The text of the whole file, with these parts.
    func whole(_ text: String) -> String {
        let lines = hasReturns ? text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") : text
        return (hasMark ? Self.mark : "") + lines
    }
}
