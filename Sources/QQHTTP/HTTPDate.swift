import QQCore

extension HTTPAnswer {
    /// The server's time when it answered, to the second, by its `Date` field; nil if it has none that can be read.
    public var date: WallTime? { field("Date").flatMap { HTTPDate.parse($0) } }
}

enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Parses the form that servers have to send: `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
    static func parse(_ text: String) -> WallTime? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 6, words[0].utf8.count == 4, words[0].hasSuffix(","), words[1].utf8.count == 2, words[3].utf8.count == 4,
            let month = months.firstIndex(of: String(words[2])), words[4].utf8.count == 8, words[5] == "GMT"
        else { return nil }
        let number = month + 1
        return try? WallTime.parse(rfc3339: "\(words[3])-\(number < 10 ? "0" : "")\(number)-\(words[1])T\(words[4])Z")
    }
}
