# Hands the events that a table asks for to the distribution, which says how far it has come and keeps them. Runs as the account that owns the
# distribution, a reader of event logs and no administrator: WSL refuses the system. Nothing here is in the PC's language: numbers, names of
# fields, the event as XML, never its message.
param([string]$Path)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$most = 2000  # of a row in one run; the next run goes on
$first = 200  # of a row that was never read, and of the last day
$table = ConvertFrom-Json ([string](Get-Content -LiteralPath $Path -Raw))

function Find-Event($row, [long]$after, [long]$count, [bool]$oldest) {
    $terms = @()
    if ($row.ids) { $terms += '(' + (@($row.ids | ForEach-Object { "EventID=$_" }) -join ' or ') + ')' }
    if ($after) { $terms += "EventRecordID > $after" }
    $query = @{ LogName = $row.channel; MaxEvents = $count; Oldest = $oldest; ErrorAction = 'Stop' }
    if ($terms) { $query.FilterXPath = '*[System[' + ($terms -join ' and ') + ']]' }
    # No match is an error of its own, told by its id.
    try { Get-WinEvent @query } catch { if ($_.FullyQualifiedErrorId -notlike 'NoMatchingEventsFound,*') { throw } }
}
function Read-Data($root, $row) {
    $data = [ordered]@{}
    # `Data` with a name, or elements of the event's own below UserData.
    foreach ($node in $root.SelectNodes('/*/*[local-name()="EventData"]/* | /*/*[local-name()="UserData"]/*/*')) {
        $name = $node.GetAttribute('Name')
        if (-not $name) { $name = $node.LocalName }
        $data[$name] = [string]$node.InnerText
    }
    $data
}
function Test-Wanted($row, $data) {
    foreach ($field in @($row.only.PSObject.Properties)) { if (@($field.Value) -notcontains [string]$data[$field.Name]) { return $false } }
    foreach ($field in @($row.without.PSObject.Properties)) { if (@($field.Value) -contains [string]$data[$field.Name]) { return $false } }
    $true
}
function ConvertTo-Handed($row, $found) {
    $root = [xml]$found.ToXml()
    $data = Read-Data $root $row
    if (-not (Test-Wanted $row $data)) { return }
    $kept = [ordered]@{}
    foreach ($name in $row.keep) { if ($data.Contains($name)) { $kept[$name] = $data[$name] } }
    $system = $root.DocumentElement['System']
    $user = $system['Security']
    [ordered]@{
        row      = $row.name
        channel  = [string]$system['Channel'].InnerText
        record   = [long]$system['EventRecordID'].InnerText
        provider = $system['Provider'].GetAttribute('Name')
        number   = [int]$system['EventID'].InnerText
        level    = [int]$system['Level'].InnerText
        keywords = [string]$system['Keywords'].InnerText
        ts       = $system['TimeCreated'].GetAttribute('SystemTime')
        user     = $(if ($user) { $user.GetAttribute('UserID') } else { '' })
        severity = $row.severity
        data     = $kept
    }
}
function Send-Line($line) {
    $bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $line -Depth 4 -Compress) + "`n")
    # Below the writer of text, which would write in the PC's code page.
    $pipe.Write($bytes, 0, $bytes.Length)
}
function Send-Row($row, [long]$after) {
    # Before the events: what comes meanwhile is for the next run.
    $newest = @(Get-WinEvent -LogName $row.channel -MaxEvents 1 -ErrorAction SilentlyContinue)
    $end = [long]$(if ($newest) { $newest[0].RecordId } else { 0 })
    # A log whose newest record is older than what is known was begun anew.
    if ($newest -and $end -lt $after) { Send-Line @{ row = $row.name; begun = $true }; $after = 0 }
    if ($after) { $found = @(Find-Event $row $after $most $true) }
    else {
        $found = @(Find-Event $row 0 $first $false)
        [array]::Reverse($found)
    }
    foreach ($one in $found) {
        if (-not $after -and $one.TimeCreated -lt (Get-Date).AddDays(-1)) { continue }
        $handed = ConvertTo-Handed $row $one
        if ($handed) { Send-Line $handed }
    }
    $at = [long]$(if ($found) { $found[-1].RecordId } else { 0 })
    # All of the log has been looked at, whether anything of it was asked for or not: an event that comes now is new, however late it is fetched.
    if (-not $after -or $found.Count -lt $most) { $at = [Math]::Max($at, $end) }
    Send-Line @{ row = $row.name; at = $at }
}

$how = New-Object -TypeName Diagnostics.ProcessStartInfo -ArgumentList (Get-Item -LiteralPath $table.program).FullName, $table.arguments
$how.UseShellExecute = $false
$how.CreateNoWindow = $true
$how.RedirectStandardInput = $how.RedirectStandardOutput = $true
$process = [Diagnostics.Process]::Start($how)
$pipe = $process.StandardInput.BaseStream
$marks = ConvertFrom-Json ([string]$process.StandardOutput.ReadLine())
foreach ($row in $table.events) {
    $after = [long]0
    if ($marks.PSObject.Properties[$row.name]) { $after = [long]$marks.($row.name) }
    try { Send-Row $row $after } catch { Send-Line @{ row = $row.name; failed = [string]$_.FullyQualifiedErrorId } }
}
$pipe.Close()
$answer = [string]$process.StandardOutput.ReadToEnd()
$process.WaitForExit()
if ($process.ExitCode -ne 0) { exit $process.ExitCode }
if ($answer -notmatch '^\d+\s*$') { exit 1 }
exit 0
