$version = Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$machine = Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
$hive = 'HKCU:'
$sid = ''
$folder = $env:USERPROFILE
if ($owner) {
    # Registrations are each user's own. The hive is loaded while something runs as that user.
    $account = Get-LocalUser | Where-Object { $_.Name -eq $owner }
    if ($account) { $sid = [string]$account.SID.Value }
    $hive = "Registry::HKEY_USERS\$sid-"
    if ($sid) { $hive = "Registry::HKEY_USERS\$sid" }
    $folder = ''
    $list = "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid"
    if (Test-Path -LiteralPath $list) { $folder = [string](Get-ItemProperty -LiteralPath $list).ProfileImagePath }
}
$lxss = "$hive\Software\Microsoft\Windows\CurrentVersion\Lxss"
$distributions = @()
if (Test-Path -LiteralPath $lxss) {
    $distributions = @(Get-ChildItem -LiteralPath $lxss | Where-Object { $_.GetValue('DistributionName', '') } | ForEach-Object {
        # WSL2 is a bit of the flags; the value called Version is another thing.
        [ordered]@{ name = [string]$_.GetValue('DistributionName'); wsl2 = [bool]([int]$_.GetValue('Flags', 0) -band 8) }
    })
}
$file = "$folder\.wslconfig"
$text = ''
$size = 0
$access = ''
if ($folder -and (Test-Path -LiteralPath $file)) {
    $text = [string](Get-Content -LiteralPath $file -Raw)
    $size = [int](Get-Item -LiteralPath $file -Force).Length
    $access = [string](Get-Acl -LiteralPath $file).Sddl
}
[ordered]@{
    build         = [int]$version.CurrentBuild
    revision      = [int]$version.UBR
    edition       = [string]$version.EditionID
    display       = [string]$version.DisplayVersion
    wsl           = [bool](Test-Path -LiteralPath 'C:\Program Files\WSL\wsl.exe')
    utf8          = [string]$machine.WSL_UTF8
    sid           = $sid
    profile       = [string]$folder
    config        = $text
    config_size   = $size
    config_access = $access
    distributions = $distributions
}
