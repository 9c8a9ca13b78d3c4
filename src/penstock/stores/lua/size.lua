-- Weigh a space.
-- Returns the bytes of live values, and 1 if expired ones are still among them: call again then.

local more = trim()
local bytes = number('bytes')
settle()
return { bytes, more and 1 or 0 }
