import Glibc

/// The terms of one name by its stamps, which are read as they are written, because the file grows by megabytes.
struct TermLog {
    /// Names a term. Each slot has tokens of its own.
    struct Name: Hashable {
        /// 0 without slots.
        var slot: UInt64
        var token: UInt64
    }

    struct Term {
        var first: UInt64
        var last: UInt64
    }

    private let path: String
    private let slots: Int
    private var offset = 0
    private var rest: [UInt8] = []
    private(set) var terms: [Name: Term] = [:]

    init(_ path: String, slots: Int) {
        self.path = path
        self.slots = slots
    }

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

    /// `<ns> start|beat|end <pid> [<slot>:]<token> <role>`
    private mutating func take(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count == 5, let at = Self.number(words[0]) else { return }
        let numbers = words[3].split(separator: UInt8(ascii: ":")).compactMap { Self.number($0) }
        guard let token = numbers.last, numbers.count <= 2 else { return }
        let name = Name(slot: numbers.count == 2 ? numbers[0] : 0, token: token)
        var term = terms[name] ?? Term(first: at, last: at)
        term.first = min(term.first, at)
        term.last = max(term.last, at)
        terms[name] = term
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for digit in digits {
            guard digit >= 48, digit <= 57 else { return nil }
            number = number &* 10 &+ UInt64(digit - 48)
        }
        return digits.isEmpty ? nil : number
    }

    /// Each case of two terms of one slot at work at the same time, of a token that does not grow, or of more terms at work than there are slots.
    var overlaps: [String] {
        let bySlot = Dictionary(grouping: terms) { $0.key.slot }.sorted { $0.key < $1.key }
        var found = bySlot.flatMap { slot, terms in
            Self.overlaps(terms.sorted { $0.value.first < $1.value.first }.map { ($0.key.token, $0.value) }).map {
                slot == 0 ? $0 : "slot \(slot): \($0)"
            }
        }
        if let slot = bySlot.map(\.key).first(where: { slots > 1 ? !(1...slots).contains(Int(clamping: $0)) : $0 != 0 }) {
            found.append("there was a slot \(slot)")
        }
        if slots > 1, mostAtWork > slots { found.append("\(mostAtWork) terms were at work at the same time, and there are \(slots) slots") }
        return found
    }

    private static func overlaps(_ ordered: [(token: UInt64, term: Term)]) -> [String] {
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

    /// The most terms that were at work at one moment.
    var mostAtWork: Int {
        // At the same moment, beginnings come first: such terms overlap.
        let changes = terms.values.flatMap { [($0.first, 0, 1), ($0.last, 1, -1)] }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
        var (count, most) = (0, 0)
        for (_, _, change) in changes {
            count += change
            most = max(most, count)
        }
        return most
    }
}
