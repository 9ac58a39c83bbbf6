/// The waiters for a RaftLock lock, in a heap as the server keeps them. The positions that clients get are indices of the heap.
struct WaitQueue: Sendable {
    struct Waiter: Sendable {
        var id: String
        var priority: Int32
        /// Time of arrival, in nanoseconds since 1970.
        var since: Int64
        /// Time at which the waiter gives up, in nanoseconds since 1970.
        var until: Int64

        /// Whether this waiter comes before the other: it has a higher priority, or the same one and arrived earlier.
        func precedes(_ other: Waiter) -> Bool { priority != other.priority ? priority > other.priority : since < other.since }
    }

    private(set) var heap: [Waiter] = []

    var count: Int { heap.count }

    func position(of id: String) -> Int? { heap.firstIndex { $0.id == id } }

    /// - Returns: the new waiter's index in the heap.
    mutating func add(_ waiter: Waiter) -> Int {
        heap.append(waiter)
        return rise(from: heap.count - 1)
    }

    mutating func refresh(_ place: Int, until: Int64) { heap[place].until = until }

    /// Removes the waiter that comes before all others.
    mutating func popFirst() -> Waiter? {
        guard let first = heap.first else { return nil }
        remove(0)
        return first
    }

    mutating func remove(_ place: Int) {
        let last = heap.count - 1
        heap.swapAt(place, last)
        heap.removeLast()
        guard place < last else { return }
        if sink(from: place) == place { _ = rise(from: place) }
    }

    /// Removes the waiters that have given up.
    mutating func expire(_ now: Int64) {
        while let place = heap.firstIndex(where: { $0.until <= now }) { remove(place) }
    }

    private mutating func rise(from place: Int) -> Int {
        var place = place
        while place > 0, heap[place].precedes(heap[(place - 1) / 2]) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
        return place
    }

    private mutating func sink(from place: Int) -> Int {
        var place = place
        while true {
            let children = (2 * place + 1...2 * place + 2).filter { $0 < heap.count }
            guard let best = children.min(by: { heap[$0].precedes(heap[$1]) }), heap[best].precedes(heap[place]) else { return place }
            heap.swapAt(place, best)
            place = best
        }
    }
}
