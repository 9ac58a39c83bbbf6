/// Who waits for a lock of RaftLock, in a heap as its server keeps it: the positions that clients are told are places in the heap.
struct WaitQueue: Sendable {
    struct Waiter: Sendable {
        var id: String
        var priority: Int32
        /// When it came; nanoseconds since 1970.
        var since: Int64
        /// When it gives up.
        var until: Int64

        /// Whether it comes before the other: of higher priority, or sooner there.
        func precedes(_ other: Waiter) -> Bool { priority != other.priority ? priority > other.priority : since < other.since }
    }

    private(set) var heap: [Waiter] = []

    var count: Int { heap.count }

    func position(of id: String) -> Int? { heap.firstIndex { $0.id == id } }

    /// - Returns: the new waiter's place.
    mutating func add(_ waiter: Waiter) -> Int {
        heap.append(waiter)
        return rise(from: heap.count - 1)
    }

    mutating func refresh(_ place: Int, until: Int64) { heap[place].until = until }

    /// Removes the one that comes before all others.
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

    /// Removes those that have given up.
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
