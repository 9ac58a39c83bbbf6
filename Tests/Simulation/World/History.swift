/// The last things that happened in a world, as short records that become words only when they are printed.
public struct History {
    /// One thing that happened. It has no text of its own, so that noting it allocates nothing.
    public struct Record {
        var at: Nanoseconds
        /// The number of the process or host; see `World.actorName`.
        var actor: Int32
        /// Words with `#1` and `#2` in the places of the numbers, and `@1` and `@2` for a number that is a moment or length in nanoseconds,
        /// shown in seconds.
        var words: StaticString
        var first: Int64
        var second: Int64
    }

    private var ring: [Record] = []
    private var next = 0
    private let room: Int
    /// The number of all records, kept or not.
    public private(set) var count = 0
    /// A hash of all records, kept or not: the same for the same seed on every machine.
    public private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    init(room: Int) {
        self.room = room
        ring.reserveCapacity(min(room, 4096))
    }

    mutating func add(_ record: Record) {
        count += 1
        mix(UInt64(bitPattern: record.at))
        mix(UInt64(bitPattern: Int64(record.actor)) ^ UInt64(record.words.utf8CodeUnitCount) << 32)
        mix(UInt64(bitPattern: record.first))
        mix(UInt64(bitPattern: record.second))
        if ring.count < room {
            ring.append(record)
        } else {
            ring[next] = record
            next = (next + 1) % room
        }
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
    }

    /// The kept records, the oldest first.
    var records: [Record] { Array(ring[next...]) + Array(ring[..<next]) }

    static func text(_ record: Record, actor: String) -> String {
        var words = ""
        var previous: Character?
        for character in record.words.description {
            let value: Int64? = character == "1" ? record.first : character == "2" ? record.second : nil
            if let value, previous == "#" || previous == "@" {
                words.removeLast()
                words += previous == "@" ? seconds(value) + " s" : String(value)
            } else {
                words.append(character)
            }
            previous = character
        }
        let time = seconds(record.at)
        let padded = String(repeating: " ", count: max(0, 12 - time.count)) + time
        return padded + "  " + actor + String(repeating: " ", count: max(1, 14 - actor.count)) + words
    }

    /// Seconds to the microsecond.
    static func seconds(_ value: Nanoseconds) -> String {
        let micro = value / 1000
        let fraction = String(abs(micro % 1_000_000))
        return (micro < 0 ? "-" : "") + String(abs(micro) / 1_000_000) + "." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
