/// "Did you mean": the nearest of the valid words.
enum Suggestion {
    /// `did you mean …?`; nil if no word is near.
    static func hint(for typed: String, among words: [String]) -> String? {
        nearest(to: typed, among: words).map { "did you mean \($0)?" }
    }

    /// The word within a typing slip or two of `typed`, else the only one that `typed` begins.
    static func nearest(to typed: String, among words: [String]) -> String? {
        let letters = Array(typed.utf8.prefix(64))
        let allowed = max(1, letters.filter { $0 != UInt8(ascii: "-") }.count / 3)
        let near = words.map { (word: $0, distance: distance(letters, Array($0.utf8))) }.min { $0.distance < $1.distance }
        if let near, near.distance <= allowed { return near.word }
        let begun = words.filter { $0.hasPrefix(typed) }
        return typed.count >= 2 && begun.count == 1 ? begun[0] : nil
    }

    /// Damerau-Levenshtein distance: insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...second.count)
        for row in first.indices {
            var current = [row + 1]
            for column in second.indices {
                let cost = first[row] == second[column] ? 0 : 1
                var best = min(last[column] + cost, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            (beforeLast, last) = (last, current)
        }
        return last[second.count]
    }
}
