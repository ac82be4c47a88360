# Searches for updates, installs them where that is asked for, and leaves what it found for those who look. It runs as the system, since
# Windows refuses downloads and installations to a session that came over the network.
param([switch]$Install)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$file = $env:ProgramData + '\citadelle\updates.json'
$found = [ordered]@{ searched = ''; succeeded = ''; error = ''; pending = @() }
if (Test-Path -LiteralPath $file) {
    # A search that fails does not undo what is known.
    $known = ConvertFrom-Json ([string](Get-Content -LiteralPath $file -Raw -Encoding UTF8))
    foreach ($name in 'searched', 'succeeded', 'pending') { $found[$name] = $known.$name }
}
function Search-Update($session) {
    , @($session.CreateUpdateSearcher().Search("IsInstalled=0 and IsHidden=0 and Type='Software'").Updates)
}
function Install-Update($session, $updates) {
    $wanted = New-Object -ComObject Microsoft.Update.UpdateColl
    foreach ($update in $updates) {
        if ($update.InstallationBehavior.CanRequestUserInput) { continue }
        if (-not $update.EulaAccepted) { $update.AcceptEula() }
        [void]$wanted.Add($update)
    }
    if (-not $wanted.Count) { return }
    $downloader = $session.CreateUpdateDownloader()
    $downloader.Updates = $wanted
    [void]$downloader.Download()
    $installer = $session.CreateUpdateInstaller()
    $installer.Updates = $wanted
    $code = [int]$installer.Install().ResultCode
    if ($code -ne 2) { throw "installation ends with result $code" }
}
try {
    $session = New-Object -ComObject Microsoft.Update.Session
    $updates = Search-Update $session
    if ($Install) {
        Install-Update $session $updates
        $updates = Search-Update $session
    }
    $found.searched = (Get-Date).ToUniversalTime().ToString('o')
    $last = (New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastInstallationSuccessDate
    if ($last) { $found.succeeded = ([DateTime]::SpecifyKind([DateTime]$last, 'Utc')).ToString('o') }
    $found.pending = @($updates | ForEach-Object {
        [ordered]@{
            title    = [string]$_.Title
            kb       = @($_.KBArticleIDs | ForEach-Object { [string]$_ })
            severity = [string]$_.MsrcSeverity
            restart  = [bool]([int]$_.InstallationBehavior.RebootBehavior)
        }
    })
}
catch { $found.error = ('0x{0:X8} ' -f $_.Exception.HResult) + [string]$_.FullyQualifiedErrorId }
Set-Content -LiteralPath "$file.new" -Value (ConvertTo-Json -InputObject $found -Depth 4) -Encoding UTF8
Move-Item -LiteralPath "$file.new" -Destination $file -Force
if ($found.error) { exit 1 }
exit 0
