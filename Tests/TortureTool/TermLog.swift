import Glibc

/// The terms of one election by its stamps, which are read as they are written, because the file grows by megabytes.
struct TermLog {
    struct Term {
        var first: UInt64
        var last: UInt64
    }

    private let path: String
    private var offset = 0
    private var rest: [UInt8] = []
    private(set) var terms: [UInt64: Term] = [:]

    init(_ path: String) { self.path = path }

    /// Reads the stamps that were written since the last call.
    mutating func readOn() {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset))
            guard count > 0 else { return }
            offset += count
            rest += buffer[..<count]
            guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            for line in rest[..<end].split(separator: UInt8(ascii: "\n")) { take(line) }
            rest.removeSubrange(...end)
        }
    }

    /// `<ns> start|beat|end <pid> <token> <role>`
    private mutating func take(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count == 5, let at = Self.number(words[0]), let token = Self.number(words[3]) else { return }
        var term = terms[token] ?? Term(first: at, last: at)
        term.first = min(term.first, at)
        term.last = max(term.last, at)
        terms[token] = term
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for digit in digits {
            guard digit >= 48, digit <= 57 else { return nil }
            number = number &* 10 &+ UInt64(digit - 48)
        }
        return digits.isEmpty ? nil : number
    }

    /// Each case of two terms at work at the same time, or of a token that does not grow.
    var overlaps: [String] {
        let ordered = terms.sorted { $0.value.first < $1.value.first }
        var found: [String] = []
        // Compare with the latest stamp of all earlier terms, not only of the previous one.
        var latest: (token: UInt64, last: UInt64)?
        for (token, term) in ordered {
            if let latest {
                if term.first <= latest.last {
                    found.append("term \(token) began \(Double(latest.last - term.first) / 1e6) ms before term \(latest.token) had ended")
                }
                if token <= latest.token { found.append("token \(token) came after \(latest.token)") }
            }
            if latest.map({ term.last > $0.last }) ?? true { latest = (token, term.last) }
        }
        return found
    }
}
