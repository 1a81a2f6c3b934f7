--!strict
-- Days as people count them, in their own time zone.

local day = {}

local function whole(moment: any): string
  return aegis.time.parse(math.floor(aegis.time.unix(moment)))
end

-- When the day began in which a moment lies. Days on which clocks change begin at midnight too.
function day.start(moment: any, zone: string): string
  local parts = aegis.time.parts(moment, { zone = zone })
  local guess = aegis.time.add(moment, -(parts.hour * 3600 + parts.minute * 60 + parts.second))
  local there = aegis.time.parts(guess, { zone = zone })
  if there.hour == 0 then
    return whole(guess)
  end
  -- The clocks changed since midnight: an hour too late, or too early.
  local seconds = there.hour * 3600 + there.minute * 60
  return whole(aegis.time.add(guess, if there.hour < 12 then -seconds else 86400 - seconds))
end

-- The first moment of the day before, and of the day itself.
function day.before(moment: any, zone: string): (string, string)
  local today = day.start(moment, zone)
  return day.start(aegis.time.add(today, -1), zone), today
end

return day
