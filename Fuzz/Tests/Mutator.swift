/// Makes small changes to the seeds, the same ones for the same random seed.
struct Mutator {
    private let inputs: [[UInt8]]
    private let words: [[UInt8]]
    private var random: Random

    /// Numbers that arithmetic breaks on.
    private static let numbers = [
        "0", "-0", "1", "-1", "0.5", "1e-300", "1e300", "-1e300", "1e9", "2147483647", "2147483648", "-2147483648", "4294967296",
        "9007199254740993",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "99999999999999999999999999", "0001", "253402300800", "999999999", "-999999999",
    ].map { Array($0.utf8) }
    private static let bytes: [UInt8] = [0, 1, 9, 10, 13, 0x20, 0x22, 0x27, 0x2d, 0x2e, 0x30, 0x3a, 0x5c, 0x7b, 0x7f, 0x80, 0xc3, 0xff]
    private static let longest = 16384

    init(_ inputs: [[UInt8]], words: [String], seed: UInt64) {
        self.inputs = inputs.isEmpty ? [[]] : inputs
        self.words = words.map { Array($0.utf8) }
        random = Random(state: seed)
    }

    mutating func next() -> [UInt8] {
        var input = inputs[random.below(inputs.count)]
        for _ in 0...random.below(6) { mutate(&input) }
        return Array(input.prefix(Self.longest))
    }

    private mutating func mutate(_ input: inout [UInt8]) {
        let place = random.below(input.count + 1)
        switch random.below(12) {
        case 0 where place < input.count: input[place] ^= 1 << UInt8(random.below(8))
        case 1 where place < input.count: input[place] = UInt8(random.below(256))
        case 2 where place < input.count: input[place] = Self.bytes[random.below(Self.bytes.count)]
        case 3: input.insert(Self.bytes[random.below(Self.bytes.count)], at: place)
        case 4: input.removeSubrange(place..<min(place + 1 + random.below(16), input.count))
        case 5: input.insert(contentsOf: input[place..<min(place + 1 + random.below(64), input.count)], at: place)
        case 6 where !words.isEmpty: input.insert(contentsOf: words[random.below(words.count)], at: place)
        case 7:
            let other = inputs[random.below(inputs.count)]
            input = Array(input[..<place] + other[random.below(other.count + 1)...])
        case 8 where random.below(4) == 0: input.removeSubrange(place...)
        default: changeNumber(&input)
        }
    }

    /// Replaces a number by another one, the change with the best chance of finding something.
    private mutating func changeNumber(_ input: inout [UInt8]) {
        func isOfNumber(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || byte == 0x2d || byte == 0x2e }
        var runs: [Range<Int>] = []
        var start: Int?
        for index in 0...input.count {
            if index < input.count, isOfNumber(input[index]) {
                start = start ?? index
            } else if let begun = start {
                runs.append(begun..<index)
                start = nil
            }
        }
        guard !runs.isEmpty else { return }
        input.replaceSubrange(runs[random.below(runs.count)], with: Self.numbers[random.below(Self.numbers.count)])
    }

    /// SplitMix64.
    private struct Random {
        var state: UInt64

        /// A random number below `limit`, which is above 0.
        mutating func below(_ limit: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return Int((mixed ^ mixed >> 31) >> 1) % limit
        }
    }
}
