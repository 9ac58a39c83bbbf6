import Glibc

/// One line that a `stamp` process wrote.
public struct Stamp: Sendable, Hashable {
    public enum What: String, Sendable { case start, beat, end }

    /// Nanoseconds on CLOCK_BOOTTIME.
    public let at: UInt64
    public let what: What
    public let pid: pid_t
    /// 0 if there was none.
    public let token: UInt64
    public let role: String

    init?(_ line: Substring) {
        let words = line.split(separator: " ")
        guard words.count == 5, let at = UInt64(words[0]), let what = What(rawValue: String(words[1])), let pid = pid_t(words[2]) else {
            return nil
        }
        self.at = at
        self.what = what
        self.pid = pid
        token = UInt64(words[3]) ?? 0
        role = String(words[4])
    }
}

/// The contents of a log of stamps.
public struct Stamps: Sendable {
    public let all: [Stamp]

    public init(_ path: String) {
        all = readText(path).split(separator: "\n").compactMap { Stamp($0) }
    }

    /// A term as its guarded processes show it: from their first stamp to their last.
    public struct Term: Sendable, Hashable {
        public let token: UInt64
        public var first: UInt64
        public var last: UInt64

        public init(token: UInt64, first: UInt64, last: UInt64) {
            self.token = token
            self.first = first
            self.last = last
        }
    }

    /// The terms, in the order of their first stamps.
    public var terms: [Term] {
        var found: [UInt64: Term] = [:]
        for stamp in all {
            var term = found[stamp.token] ?? Term(token: stamp.token, first: stamp.at, last: stamp.at)
            term.first = min(term.first, stamp.at)
            term.last = max(term.last, stamp.at)
            found[stamp.token] = term
        }
        return found.values.sorted { $0.first < $1.first }
    }

    /// Each case of two terms that ran at the same time, or of a token that did not grow, in words. Empty if the promise was kept.
    public var violations: [String] {
        zip(terms, terms.dropFirst()).flatMap { one, next in
            var found: [String] = []
            if next.first <= one.last {
                found.append("term \(next.token) began \(Double(one.last - next.first) / 1e6) ms before term \(one.token) had ended")
            }
            if next.token <= one.token { found.append("token \(next.token) came after \(one.token)") }
            return found
        }
    }

    public func term(_ token: UInt64) -> Term? { terms.first { $0.token == token } }

    public func count(_ role: String) -> Int { all.count { $0.role == role } }
}

/// The present time on the clock of the stamps.
public func bootNow() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
